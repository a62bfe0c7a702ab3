"""Campaigns: something done many times at random from a seed, of which every single case must be right."""
