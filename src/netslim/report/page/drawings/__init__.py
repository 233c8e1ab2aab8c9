"""Drawings of the page as SVG text, one file per drawing; colours are the page's own, by class."""
