"""Stub until the real one lands."""
class Postgres:
    def __init__(self, home): self.home = home
    @property
    def url(self): return f"postgresql://postgres@{str(self.home/'run').replace('/','%2F')}/muster"
class Valkey:
    def __init__(self, home): self.home = home
    @property
    def url(self): return f"unix://{self.home/'run-valkey'/'valkey.sock'}?db=0"
def celery_url(url): return url.replace("unix://","redis+socket://").replace("?db=0","?virtual_host=0")
