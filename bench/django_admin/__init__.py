"""The rival: a Django admin over the product's tables, set up as a careful Django developer would."""
