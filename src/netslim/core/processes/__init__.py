"""Processes: several that train one network, and what one does with its memory."""
