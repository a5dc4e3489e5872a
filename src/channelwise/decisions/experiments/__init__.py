"""Chapter 12: tests on customers, from their size to what may be believed of them."""
