"""Where state lies: encrypted buckets, the key of their data, MLflow, and other accounts' access.

bucket = SecureBucket(self, "ReleaseBucket", bucket_name="…", key=None, retain=True)
role.add_to_policy(objects(bucket, READ, "releases/"))      # one prefix, not the bucket
grant_release_access(bucket, ["111122223333"])
"""
