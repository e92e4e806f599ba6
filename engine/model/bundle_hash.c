#include "engine/model/bundle_hash.h"

#include <openssl/evp.h>

#include "base/assertion.h"

void gyr_bundle_sha256(const void *bytes, size_t size, uint8_t hash[GYR_BUNDLE_ID_BYTES])
{
	int done = EVP_Digest(bytes, size, hash, NULL, EVP_sha256(), NULL);
	GYR_ASSERT(done == 1); /* fails only without a few hundred bytes of memory */
}

void gyr_bundle_hash_pieces(const void *bytes, size_t size, uint8_t (*hashes)[GYR_BUNDLE_ID_BYTES])
{
	const uint8_t *at = bytes;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int done = context != NULL && EVP_DigestInit_ex2(context, EVP_sha256(), NULL) == 1;
	GYR_ASSERT(done);
	for (size_t left = size; left > 0; hashes++) {
		size_t piece = left < GYR_BUNDLE_PIECE_BYTES ? left : GYR_BUNDLE_PIECE_BYTES;
		/* Beginning again without a kind keeps the one that is there. */
		done = EVP_DigestUpdate(context, at, piece) == 1 && EVP_DigestFinal_ex(context, *hashes, NULL) == 1 &&
		       EVP_DigestInit_ex2(context, NULL, NULL) == 1;
		GYR_ASSERT(done);
		at += piece;
		left -= piece;
	}
	EVP_MD_CTX_free(context);
}

void gyr_bundle_hash_join(const uint8_t (*hashes)[GYR_BUNDLE_ID_BYTES], size_t count, uint8_t hash[GYR_BUNDLE_ID_BYTES])
{
	gyr_bundle_sha256(hashes, count * sizeof *hashes, hash);
}
