"""Plug-ins: what they say of themselves without being imported, and the registries that find them."""
