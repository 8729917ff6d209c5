"""What is shown: plain parts, decided from records and flows, as HTML in a notebook and as text elsewhere."""
