"""`python -m cutover.cli`: how this program starts itself again, whatever the PATH says."""

from cutover.cli.main import main

main()
