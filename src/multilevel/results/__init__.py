"""The fits a user holds: one face, methods of one line that call the floors below."""
