"""Networks in pure torch: no Lightning, no pandas, no front end."""
