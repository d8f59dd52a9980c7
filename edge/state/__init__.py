"""What a device keeps on its disk: releases, the links to two of them, and a record."""
