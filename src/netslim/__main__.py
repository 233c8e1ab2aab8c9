"""`python -m netslim`."""

from netslim.cli.app import main

main()
