"""Sign-in with OpenID Connect: an identity provider says who a person is, and which groups the person is in.

The authorization code flow with PKCE, by Authlib; ID tokens are verified by joserfc.
https://openid.net/specs/openid-connect-core-1_0.html
"""
