"""Texts of every kind that a model must handle."""

TEXTS = [
    "How do I reset my password?",
    "I forgot my password, how can I change it?",
    "¿Dónde está mi paquete?",
    "",
    "word " * 400,  # cut at 256 tokens
    "Ünïcödé 漢字 and emoji 🎉",
]
