"""Chapter 13: a budget divided over channels, with a proof."""
