"""The report of an evaluation: one HTML file, plots for papers, a Markdown table."""
