"""Channel response: what each channel does, with honest uncertainty: chapter 11."""
