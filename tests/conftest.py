from hypothesis import settings

# Shared machines stall: no deadline. Derandomized: a red test is red for everybody;
# `--hypothesis-profile=wide` searches anew and wider.
settings.register_profile("house", deadline=None, derandomize=True, print_blob=True, max_examples=60)
settings.register_profile("wide", deadline=None, max_examples=2000)
settings.load_profile("house")
