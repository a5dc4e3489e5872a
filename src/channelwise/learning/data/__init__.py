"""Where data from outside enter: read, checked, split and prepared."""
