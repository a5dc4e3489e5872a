"""Chapter 10: what channels are worth before there are data, and what a chain of dealers takes."""
