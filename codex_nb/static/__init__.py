"""A transcript in the forms that are saved with a notebook: data, text, Markdown and HTML."""
