"""The story that `manage.py demo` tells: a shop for tea and kitchen ware, its customers, a month of cohort syncs."""
