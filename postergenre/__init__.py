"""Can a film's genre be read off its poster? The helper package of the study."""

import os

__version__ = "0.1.0"

# TensorFlow's C++ side reads this before it is imported, and otherwise writes into every notebook.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
