"""The real parts that the tests stand on: a web, a git origin, S3, AWS, Cloudflare, the script."""
