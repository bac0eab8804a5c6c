"""Tables, figures and verdicts: views of records, beside what the paper printed. No torch."""
