"""Mixpanel's cohort webhook: views > tasks > apply > inbox > protocol."""
