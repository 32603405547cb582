"""Turns over HTTP: for programs, for chat interfaces made for OpenAI, and a page for people."""
