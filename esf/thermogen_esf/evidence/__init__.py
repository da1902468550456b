"""The rules of belief: what makes a stranger believe a measurement, an amount and a credit.

Pure functions over bytes and numbers, the same in the cloud that mints and in the verifier that doubts it. Nothing here opens a
file or a socket but `command`, and the methodologies that are part of this package.
"""
