"""What a turn reaches for."""
