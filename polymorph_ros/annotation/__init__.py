"""From recordings without labels to a table that training reads: ranking, and the page."""
