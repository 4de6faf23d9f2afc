-- What a notice tells of which account, where a later one makes it untrue; none for copies, which stay true.
ALTER TABLE notices ADD COLUMN about TEXT;
