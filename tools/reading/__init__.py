"""Catalogues, logs and descriptions from files, in their own shape or as published."""
