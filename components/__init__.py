"""What exists in the cloud: settings, region facts and the Pulumi components built from them."""
