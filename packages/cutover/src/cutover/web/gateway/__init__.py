"""The gateway: one listening socket between consumer and releases; routes come from signed entries only.

`contract` what may pass, `reply` what it answers itself, `tally` what it counted, `traffic` one request
from socket to release and back, `keeper` how it follows the log, stops and takes back, `control` its
loopback endpoint, `server` the process.
"""
