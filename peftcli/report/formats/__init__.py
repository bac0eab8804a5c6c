"""Tables as text: terminal, markdown, LaTeX, and CSV and JSON with every digit. No torch, no pandas."""
