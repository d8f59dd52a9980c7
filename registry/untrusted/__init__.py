"""Input from outside, bounded and checked before anything reads it: archives, JSON and text.

``archives`` unpacks what training jobs wrote, ``json_object`` parses a document, ``stored_json``
reads one from a bucket, ``text`` makes words of others fit for a terminal, a page or an AWS field.

>>> from registry.untrusted.text import printable
>>> printable("base1-1\x1b[31m")
'base1-1?[31m'
"""
