"""Files from and to the Hugging Face Hub: the bytes that were asked for, or one clear error.

huggingface_hub keeps the cache; what it does not do is compare a downloaded or a cached file with
a hash, or look at a server's answer before it makes a file name of it. That is done here. This
room knows files and hashes only, nothing of networks.
"""

from isozoo.hub.fetching import fetch, fetch_unpinned
from isozoo.hub.pushing import push
from isozoo.hub.revision import is_repository

__all__ = ["fetch", "fetch_unpinned", "is_repository", "push"]
