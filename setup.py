"""Everything is declared in setup.cfg; this file serves tools that still look for it."""

import setuptools

setuptools.setup()
