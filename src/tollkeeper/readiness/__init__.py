"""Whether everything is set up as it has to be: the checks that ask the provider, the issuers and our own address."""
