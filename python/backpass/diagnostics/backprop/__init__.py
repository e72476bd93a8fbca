"""One step of backpropagation, looked at: recorded, run on a copy, and shown as text and as a page."""
