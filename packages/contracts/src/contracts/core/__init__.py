"""Pure rules and records of the agreement: strict readers, envelope policies, the error codes.

Nothing here reads a file, a clock or the environment.
"""
