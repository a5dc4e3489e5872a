"""Chapter 12: earning while learning."""
