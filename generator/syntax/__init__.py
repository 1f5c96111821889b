"""The note dialect: one small file per Markdown extension, each a rule on markdown-it's tokens."""
