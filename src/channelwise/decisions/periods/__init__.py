"""Chapter 13: plans by channel and period, with carry-over."""
