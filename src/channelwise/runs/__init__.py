"""What runs notebooks: a run is notebook + parameters + data → one folder, whole or not there.

This room knows no mathematics; it knows notebooks, processes and files.
"""
