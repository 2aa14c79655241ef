"""The demo studio: draws film posters whose genre cues are known, and stands in for TMDB and IMDb."""
