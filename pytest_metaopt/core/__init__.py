"""What everything else stands on: checks, findings, documents, text. It knows no pytest."""
