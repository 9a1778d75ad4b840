"""From a document to its signer, from a bad answer to its documents; what proves it."""
