"""The console: pages to ask, to see why, and to see what a change would do. Without a line of JavaScript."""
