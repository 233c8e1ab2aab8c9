"""`python -m netslim`."""

from netslim.cli.entry import main

main()
