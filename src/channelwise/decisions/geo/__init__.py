"""Chapter 12: tests on whole regions."""
